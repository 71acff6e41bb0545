"""Pipelines and deployments as series: how long, how often failed, how quickly from commit to users."""
