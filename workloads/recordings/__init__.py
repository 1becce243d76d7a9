"""Readers of recordings: sound, event cameras, pictures, archives, and speech that a synthesiser speaks."""
