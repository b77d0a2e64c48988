"""The dashboard's routes."""

from dataclasses import replace

from app.web import task_admin
from app.web.access import Access
from app.web.admin_rooms import ROOM_PATTERN
from app.web.dashboard import history, pages, sign_in
from app.web.dashboard.figures import Overview
from app.web.dashboard.history import HistoryQuery, RoomHistory
from app.web.operations import Answer, Operation

TASKS = tuple(
    replace(operation, path=f"/admin/api{operation.path}", access=Access.ADMIN, tag="operator")
    for operation in task_admin.OPERATIONS
    if operation.path == "/stats" or operation.path.startswith("/dead-letters")
)
"""The same as for those who hold the task token, where a signed-in operator's cookie reaches."""

_PAGE = {200: Answer("The page.", "text/html")}

OPERATIONS = (
    *TASKS,
    Operation("GET", "/admin", pages.rooms_page, "All rooms at a glance", "dashboard", _PAGE, hidden=True),
    Operation("GET", "/admin/rooms/{room}", pages.room_page, "One room", "dashboard", _PAGE, hidden=True),
    Operation("GET", "/admin/tasks", pages.tasks_page, "Queues and dead letters", "dashboard", _PAGE, hidden=True),
    Operation("GET", "/admin/locks", pages.locks_page, "The locks held", "dashboard", _PAGE, hidden=True),
    Operation("GET", "/admin/sign-in", sign_in.form, "The form", "dashboard", _PAGE, hidden=True),
    Operation("POST", "/admin/sign-in", sign_in.sign_in, "Begin a session", "dashboard", _PAGE, hidden=True),
    Operation("POST", "/admin/sign-out", sign_in.sign_out, "End a session", "dashboard", _PAGE, hidden=True),
    Operation("GET", "/admin/events", pages.events, "The figures as they change", "dashboard", _PAGE, hidden=True),
    Operation(
        "GET",
        "/admin/api/overview",
        pages.overview_now,
        "All rooms in figures",
        "operator",
        {200: Answer("As this replica last saw them, a quarter of a second ago or less.", Overview)},
        access=Access.ADMIN,
        problems=(401, 403),
    ),
    Operation(
        "GET",
        "/admin/api/rooms/{room}/history",
        history.history,
        "A room's last hour",
        "operator",
        {200: Answer("Its figures over time, the same from every replica.", RoomHistory)},
        access=Access.ADMIN,
        query=HistoryQuery,
        path_patterns=ROOM_PATTERN,
        problems=(400, 401, 403, 404, 503),
    ),
)
