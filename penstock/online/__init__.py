"""Features as they are now: a store of each key's rows, kept in step with the lake, and answers from it.

The lake's logs are the truth, and a store is a function of them: what is kept of a key is what training would read of
it, made by the same joins, and a request is answered by the same sweep at the instant of asking. So nothing goes stale
while no row comes, and a store that is lost is made again.
"""
