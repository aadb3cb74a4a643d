"""What looks after the streams of a server: lists, groups, dead letters, trimming."""
