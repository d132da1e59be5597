"""What does a season of one pixel look like in a few numbers? torch inside, numpy outside."""
