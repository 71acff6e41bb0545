"""Forecasts of series: capacity, exhaustion, expected bands ahead."""
