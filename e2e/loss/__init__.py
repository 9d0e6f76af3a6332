"""No accepted event and no message is lost: a server under load is crashed again and again, and what it acknowledged is
held against what became of it, as told by a witness outside."""
