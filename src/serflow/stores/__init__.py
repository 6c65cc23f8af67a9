"""Parquet shards and packed tensors: write, read, check, describe."""
