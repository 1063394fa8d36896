"""Slack in, suggestion out, decision down."""
