import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { cleanup, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, test } from "vitest";
import { makeRouter } from "../../src/app/router";
import { findings, LIVE_ID, MERGED_ID } from "../../src/mock/incidents";
import { install } from "../../src/mock/install";
import { strings } from "../../src/strings";
import { theme } from "../../src/ui/theme";
import { violations } from "../axe";

install();

function open(path: string) {
  window.history.pushState({}, "", path);
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const { container } = render(
    <MantineProvider theme={theme}>
      <QueryClientProvider client={client}>
        <RouterProvider router={makeRouter(client)} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  return { container, user: userEvent.setup() };
}

beforeEach(() => fetch("/api/v1/session", { method: "POST", body: '{"name":"admin","secret":"right"}' }));

describe("every page is free of axe violations", () => {
  test.each([
    ["/", "Home"],
    ["/incidents", "Incidents"],
    [`/incidents/${LIVE_ID}`, "Payment is slow and fails; checkout and gateway follow"],
    ["/logs", "Logs"],
    ["/events", "Events"],
    [`/findings/${findings[0]?.id}`, findings[0]?.reason ?? ""],
    ["/models", "Models"],
    ["/models/recommendation", "recommendation"],
    ["/models/panel", "panel"],
    ["/delivery", "Delivery"],
    ["/demo", "Demo shop"],
    ["/settings", "Settings"],
    ["/login", "Twofold"],
  ])("%s", async (path, title) => {
    const { container } = open(path);
    await screen.findByRole("heading", { level: 1, name: title });
    await waitFor(() => expect(screen.queryAllByLabelText(strings.loading)).toHaveLength(0));
    expect(await violations(container)).toEqual([]);
  });
});

describe("a detector is governed like a model", () => {
  test("what its shadow would have paged stands beside what was paged, and how far it is trusted", async () => {
    open("/models/panel");
    await screen.findByText("panel@5 sees what panel@4 sees; none of it is an alert");
    const table = within(screen.getByRole("group", { name: strings.governed.onlyShadow }));
    expect(table.getByText("Memory of search grows")).toBeTruthy();
    await screen.findByText(/9 right, 2 false/);
  });

  test("pipelines and deployments have a page", async () => {
    const { user } = open("/");
    await user.click(await screen.findByRole("link", { name: strings.nav.delivery }));
    const table = within(await screen.findByRole("group", { name: strings.delivery.deployments }));
    expect(table.getByText(/1 h 30 min/)).toBeTruthy();
  });
});

describe("logs", () => {
  test("a question stands in the address and leaves the nearest templates", async () => {
    const { user } = open("/logs");
    await screen.findByText("order <*> paid with <*>");
    await user.type(screen.getByLabelText(strings.templates.ask), "card network failed");
    await waitFor(() => expect(screen.queryByText("session opened for user <*>")).toBeNull());
    expect(new URLSearchParams(window.location.search).get("q")).toBe("card network failed");
    expect(screen.getByText(/nearest first/)).toBeTruthy();
  });

  test("an opened template shows its lines, and an address opens it again", async () => {
    const { user } = open("/logs?errors=only");
    await user.click(await screen.findByRole("button", { name: /^charge <\*> failed/ }));
    await screen.findByText(strings.templates.lines);
    expect(await screen.findAllByText(/charge 8f2c failed/)).toHaveLength(2);
    const address = window.location.pathname + window.location.search;
    cleanup();
    open(address);
    await screen.findByText(strings.templates.lines);
  });

  test("log text is never markup", async () => {
    const { user, container } = open("/logs?errors=only");
    await user.click(await screen.findByRole("button", { name: /^charge <\*> failed/ }));
    await screen.findByText(/<b>not markup<\/b>/);
    expect(container.querySelector("b")).toBeNull();
  });
});

describe("a finding explains itself", () => {
  test("an alert leads to why it fired, what was like it, and what would silence it", async () => {
    const { user } = open(`/incidents/${LIVE_ID}`);
    const links = await screen.findAllByRole("link", { name: /^Why: / });
    await user.click(links[0] as HTMLElement);
    await screen.findByText(/It was told at the 3rd sample/);
    await screen.findByText(/as ada confirmed/);
    await screen.findByText(`twofold detectors new panel --set 'floors=["span.duration.p95=23.6"]'`);
    expect(screen.getByText("1 right, 1 noise, 1 not judged")).toBeTruthy();
    await user.click(await screen.findByRole("button", { name: /POST \/checkout · 1.24 s/ }));
    await screen.findByText(/1.41 s in all. It waited for: payment/);
  });
});

describe("events", () => {
  test("notices are shown, and by kind alone", async () => {
    const { user } = open("/events");
    await screen.findByText("Pod cart-7d9f was scheduled on shop-2");
    await screen.findByText("payment deployed");
    await user.selectOptions(screen.getByLabelText(strings.events.kind), "notice");
    await waitFor(() => expect(screen.queryByText("payment deployed")).toBeNull());
    expect(window.location.search).toBe("?kind=notice");
    expect(screen.getByRole("link", { name: /Pipeline deploy/ }).getAttribute("href")).toMatch(/^https:/);
  });
});

describe("incidents", () => {
  test("the address holds the filters", async () => {
    const { user } = open("/incidents?severity=info");
    await screen.findByText("Orders wait in the queue");
    expect(screen.queryByText("Memory of cart grows until it restarts")).toBeNull();
    await user.click(screen.getByRole("button", { name: strings.incidents.clear }));
    await screen.findByText("Memory of cart grows until it restarts");
    expect(window.location.search).toBe("");
    await user.selectOptions(screen.getByLabelText(strings.incidents.state), "open");
    await waitFor(() => expect(window.location.search).toBe("?state=open"));
  });

  test("an address with nonsense filters nothing", async () => {
    open("/incidents?state=weird");
    await screen.findByText("Orders wait in the queue");
  });

  test("slash jumps to the search, j to the first row", async () => {
    const { user } = open("/incidents");
    await screen.findByText("Orders wait in the queue");
    await user.keyboard("j");
    expect(document.activeElement?.textContent).toBe(
      "Payment is slow and fails; checkout and gateway follow",
    );
    await user.keyboard("/");
    expect(document.activeElement).toBe(screen.getByLabelText(strings.incidents.search));
  });

  test("an incident that is not there is told in the server's words", async () => {
    open("/incidents/none");
    expect((await screen.findByRole("alert")).textContent).toContain("There is no such incident.");
  });
});

describe("the incident page", () => {
  test("a merged incident is not listed, and its page leads to the one that took over", async () => {
    const { user } = open("/incidents");
    await screen.findByText("Orders wait in the queue");
    expect(screen.queryByText("Gateway answers slowly")).toBeNull();
    cleanup();
    open(`/incidents/${MERGED_ID}`);
    await user.click(await screen.findByRole("link", { name: /^Payment is slow/ }));
    await screen.findByRole("link", { name: "Gateway answers slowly" });
    expect(window.location.pathname).toBe(`/incidents/${LIVE_ID}`);
  });

  test("one suspect is open, another opens by its address", async () => {
    const { user } = open(`/incidents/${LIVE_ID}`);
    await user.click(await screen.findByText(/^More connections in use, but/));
    await waitFor(() => expect(window.location.search).toContain("suspect=database"));
    await screen.findByText("checkout reads orders; payment does not.");
  });

  test("rejecting asks for a reason; approving sends the hash that was shown", async () => {
    const { user } = open(`/incidents/${LIVE_ID}`);
    await user.click(await screen.findByRole("button", { name: strings.remedy.reject }));
    expect(screen.getByLabelText(strings.remedy.rejectReason)).toBeDefined();
    await user.click(screen.getByRole("button", { name: strings.model.cancel }));
    await user.click(screen.getByRole("button", { name: strings.remedy.approve }));
    const card = screen.getByRole("article", { name: "Roll back the last deploy of payment" });
    await within(card).findByText(strings.states.approved);
  });

  test("a runbook is rehearsed, then proposed for somebody else to approve", async () => {
    const { user, container } = open(`/incidents/${LIVE_ID}`);
    await user.click(await screen.findByRole("button", { name: strings.remedy.propose }));
    const form = await screen.findByRole("dialog", { name: strings.remedy.proposeTitle });
    const entity = await within(form).findByLabelText<HTMLSelectElement>(strings.remedy.actOn);
    expect(entity.value).toBe("service:payment");
    await user.selectOptions(within(form).getByLabelText(strings.remedy.runbook), "Restart the service");
    expect(await violations(container.ownerDocument.body)).toEqual([]);
    await user.click(within(form).getByRole("button", { name: strings.remedy.rehearse }));
    await within(form).findByText("would call restart on service:payment");
    await user.selectOptions(entity, "database:orders");
    expect(within(form).queryByText("would call restart on service:payment")).toBeNull();
    await user.click(within(form).getByRole("button", { name: strings.remedy.proposeSubmit }));
    expect((await within(form).findByRole("alert")).textContent).toContain("declares no target");
    await user.selectOptions(entity, "service:payment");
    await user.click(within(form).getByRole("button", { name: strings.remedy.proposeSubmit }));
    await screen.findByText(strings.remedy.ownRequest);
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    const other = screen.getByRole("article", { name: "Roll back the last deploy of payment" });
    expect(other.closest("details")).toBeNull(); // what still waits is never folded away
  });

  test("nothing can be proposed for what is over", async () => {
    open(`/incidents/${MERGED_ID}`);
    await screen.findByText(strings.remedy.none);
    expect(screen.queryByRole("button", { name: strings.remedy.propose })).toBeNull();
  });

  test("a note lands on the timeline", async () => {
    const { user } = open(`/incidents/${LIVE_ID}`);
    await user.type(await screen.findByLabelText(strings.incident.noteLabel), "Called the bank.{Enter}");
    await screen.findByText("Called the bank.");
  });
});

test("a wrong secret keeps the form and says why", async () => {
  const { user } = open("/login");
  await user.type(await screen.findByLabelText(strings.login.secret), "wrong");
  await user.click(screen.getByRole("button", { name: strings.login.submit }));
  expect((await screen.findByRole("alert")).textContent).toContain("Name or secret is wrong.");
});

test("who is not signed in comes to the login and back", async () => {
  await fetch("/api/v1/session", { method: "DELETE" });
  const { user } = open("/models/recommendation");
  await user.type(await screen.findByLabelText(strings.login.secret), "right{Enter}");
  await screen.findByRole("heading", { level: 1, name: "recommendation" });
});

test("a fault can be switched on and off", async () => {
  const { user } = open("/demo");
  await user.click(await screen.findByRole("button", { name: "Break: Memory leak" }));
  await user.click(await screen.findByRole("button", { name: "Stop: Memory leak" }));
  await screen.findByRole("button", { name: "Break: Memory leak" });
});

test("a new token's secret is shown once", async () => {
  const { user } = open("/settings");
  await user.type(await screen.findByLabelText(strings.settings.tokenName), "collector");
  await user.click(screen.getByRole("button", { name: strings.settings.create }));
  expect((await screen.findByText(/^tf_/)).textContent).toHaveLength(43);
});

describe("users", () => {
  const words = strings.settings;

  test("a new user's secret is shown once, a name is taken once", async () => {
    const { user } = open("/settings");
    await user.type(await screen.findByLabelText(words.userName), "mia");
    const form = screen.getByLabelText(words.userName).closest("form");
    if (!form) throw new Error("no form");
    await user.selectOptions(within(form).getByLabelText(words.role), words.roles.approver);
    await user.click(screen.getByRole("button", { name: words.createUser }));
    const told = await screen.findByText(`${words.createdUser("mia")}. ${words.createdHint}`);
    expect(told.parentElement?.querySelector("code")?.textContent).toHaveLength(24);
    const row = (await screen.findByRole("button", { name: `${words.disable} mia` })).closest("tr");
    expect(row?.textContent).toContain(words.roles.approver);
    await user.clear(screen.getByLabelText(words.userName)); // user-event does not notice that the form was reset
    await user.type(screen.getByLabelText(words.userName), "mia");
    await user.click(screen.getByRole("button", { name: words.createUser }));
    expect((await screen.findByRole("alert")).textContent).toContain("already");
  });

  test("somebody else can be disabled and enabled, never oneself", async () => {
    const { user } = open("/settings");
    await user.click(await screen.findByRole("button", { name: `${words.disable} grace` }));
    await user.click(await screen.findByRole("button", { name: `${words.enable} grace` }));
    await screen.findByRole("button", { name: `${words.disable} grace` });
    expect(screen.queryByRole("button", { name: `${words.disable} admin` })).toBeNull();
  });
});
