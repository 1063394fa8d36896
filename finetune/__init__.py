"""The night: from decisions to a better adapter, or to none."""
