"""An enhanced message bus for unmodified NautilusTrader."""
