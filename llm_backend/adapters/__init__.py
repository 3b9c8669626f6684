"""The wing that touches the world: model providers, media, the host's own API, storage."""
