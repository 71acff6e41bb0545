"""Things that happened, as other systems tell them: alerts and changes."""
