"""Reading of streams: subscriptions, groups, acknowledgement, dead letters, trimming."""
