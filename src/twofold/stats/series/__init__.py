"""The panel of series: what it keeps of each, how a sample is scored and learnt, and what becomes a finding."""
