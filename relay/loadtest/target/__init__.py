"""The servers under test: started, watched and stopped."""
