"""The Binance loopback venue."""
