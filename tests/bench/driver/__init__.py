"""What `./run bench` is made of; ../bench.py is its beginning."""
