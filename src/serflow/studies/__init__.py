"""One package a paper: models, training matrix, tables, published figures."""
