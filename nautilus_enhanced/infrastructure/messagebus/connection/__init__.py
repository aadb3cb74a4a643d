"""The way to the server: URL, login, connection, cluster, and when to try again."""
