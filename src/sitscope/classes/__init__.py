"""What is each cluster, how often is that right, and where do the others go?"""
