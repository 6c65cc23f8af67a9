"""Multilingual speech emotion recognition with gates and architecture search (Wang et al., arXiv 2211.08237)."""
