"""The five places where the two loops meet, a file each."""
