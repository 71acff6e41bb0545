"""Forecasts, side by side with what is used today."""
