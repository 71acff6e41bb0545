"""What requests did inside of services: where their time went, whom they called, which ones to keep."""
