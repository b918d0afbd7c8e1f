from django.urls import path

from . import views

urlpatterns = [
    path("", views.index),
    path("api/tasks", views.api),
    path("task/<int:pk>/", views.detail, name="detail"),
    path("new/", views.form),
    path("export.csv", views.export),
    path("feed.xml", views.feed),
    path("clock", views.clock),
    path("counted", views.counted),
    path("crash", views.crash),
]
