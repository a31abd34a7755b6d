"""Workers and engine replicas as actors of a Ray cluster: placed and restarted by Ray, as many as the backlog asks for."""
