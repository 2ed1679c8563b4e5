"""A door: events from Redis Streams and Kafka."""
