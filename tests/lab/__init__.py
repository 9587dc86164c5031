"""A lab of real Docker hosts and a real RabbitMQ in network namespaces of one machine."""
