"""The client protocol of Centrifugo, version 2: what its official clients say, and how they are answered."""
