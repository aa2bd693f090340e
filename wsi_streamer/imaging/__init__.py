"""Pixels and codestreams: decode, encode, resample. Knows no slide, no storage, no HTTP."""
