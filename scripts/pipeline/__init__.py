"""Host side: what is asked for, the plan of stages, running them in containers, keeping results."""
