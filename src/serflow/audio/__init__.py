"""Decoding, resampling and checking of audio files; the prepared-audio shards."""
