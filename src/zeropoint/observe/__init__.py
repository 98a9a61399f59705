"""From data to ranges: one streaming histogram a value, one file a calibrator."""
