"""Team: progress, sprints, people, activity and the workspace, a panel for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from components.team import activity as team_activity
from components.team import invitations as team_invitations
from components.team import people as team_people
from components.team import progress as team_progress
from components.team import sprints as team_sprints
from components.team import workspace as team_workspace
from components.team import workspaces as team_workspaces
from pipeline.services import Services


@dataclass(frozen=True, slots=True)
class TeamTab:
    """Components of the tab; its panels in the order of the screen."""

    root: gr.Tab
    panels: gr.Tabs
    progress: team_progress.ProgressPanel
    sprints: team_sprints.SprintPanel
    people: team_people.PeoplePanel
    invitations: team_invitations.InvitationPart
    activity: team_activity.ActivityPanel
    workspace: team_workspace.WorkspacePanel
    workspaces: team_workspaces.WorkspacesPanel


def build(main: bool = True) -> TeamTab:
    """Lay out the tab; the panel of all workspaces is shown in the ``main`` one."""
    with (
        gr.Tab("Team", id="team") as root,
        gr.Column(elem_id="team-screen", elem_classes=["pl-screen"]),
        gr.Tabs(elem_id="team-panels", selected="progress", overflow_behavior="wrap") as panels,
    ):
        progress = team_progress.build()
        sprints = team_sprints.build()
        people = team_people.build()
        with people.root:
            invitations = team_invitations.build()
        activity = team_activity.build()
        workspace = team_workspace.build()
        workspaces = team_workspaces.build(main)
    return TeamTab(root, panels, progress, sprints, people, invitations, activity, workspace, workspaces)


def wire(tab: TeamTab, services: Services, top: gr.HTML, show_header: Callable) -> None:
    """Attach the listeners of all panels; ``top`` is the header, which ``show_header`` fills."""
    # The tab opens with Progress; whoever comes back finds the panel that was open, and news in it.
    opened = [tab.root.select, tab.progress.root.select]
    team_progress.wire(tab.progress, team_progress.ProgressHandlers(services), opened)
    opened = [tab.root.select, tab.sprints.root.select]
    team_sprints.wire(tab.sprints, team_sprints.SprintHandlers(services), opened)
    opened = [tab.root.select, tab.people.root.select]
    team_people.wire(tab.people, team_people.PeopleHandlers(services), opened)
    team_invitations.wire(tab.invitations, team_invitations.InvitationHandlers(services), opened)
    opened = [tab.root.select, tab.activity.root.select]
    team_activity.wire(tab.activity, team_activity.ActivityHandlers(services), opened)
    panel = team_workspace.WorkspaceHandlers(services)
    team_workspace.wire(tab.workspace, panel, [tab.root.select, tab.workspace.root.select], top, show_header)
    opened = [tab.workspaces.root.select]
    team_workspaces.wire(tab.workspaces, team_workspaces.WorkspacesHandlers(services), opened, tab.root.select)
