"""The starter's training text: what the project wrote itself, by hand and by grammar."""
