"""A file of the help centre → its title and its blocks, by a parser for each format."""
