"""Protocols over plain sockets, where nobody answers: syslog and StatsD. Off unless configured."""
