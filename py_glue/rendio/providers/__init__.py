"""Providers of video: what they tell us, made into calls."""
