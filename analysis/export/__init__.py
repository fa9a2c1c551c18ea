"""Exports of a study: BIDS, CSV, Parquet, DuckDB. One file each, found through a registry."""
