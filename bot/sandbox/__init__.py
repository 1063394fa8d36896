"""A Slack workspace on your own machine: Web API, Socket Mode, a control API and a page, all on loopback."""
