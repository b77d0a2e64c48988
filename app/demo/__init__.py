"""The box office: a small site to try the waiting room with, and everything around it. A demonstration, not a shop.

It uses the service as any site would, over HTTP only: a seat is an ID lock, a payment is a task, and a gate in front
decides who comes in.
"""
