"""What the command line shows people: descriptions of artefacts, pictures, audio to listen to, damage."""
