"""The dispatcher and the engines of an enhanced live node."""
