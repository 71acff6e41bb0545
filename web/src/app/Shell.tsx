import { Menu } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import {
  IconActivityHeartbeat,
  IconBrain,
  IconFlame,
  IconHandStop,
  IconHome,
  IconListSearch,
  IconLogout,
  IconNews,
  IconRocket,
  IconSearch,
  IconSettings,
} from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState, useSyncExternalStore } from "react";
import { calls } from "../api/calls";
import { queries, useSession } from "../api/queries";
import { strings } from "../strings";
import { Logo } from "../ui/Logo";
import { Loading } from "../ui/Notice";
import css from "./Shell.module.css";
import { follow, liveness } from "./stream";

const Palette = lazy(() => import("./Palette"));

/** The frame of every signed-in page: navigation, search, account, and the one subscription to changes. */
export function Shell() {
  const client = useQueryClient();
  const [palette, setPalette] = useState(false);
  const kill = useQuery(queries.killSwitch()).data;
  // A subscription to something outside React: what effects are for.
  useEffect(() => follow(client), [client]);
  const openPalette = () => {
    setPalette(true);
    void import("./Palette").then((loaded) => loaded.openPalette());
  };
  useHotkeys([["mod+K", openPalette]], []);
  return (
    <div className={css.shell}>
      <a className={css.skip} href="#main">
        {strings.nav.skip}
      </a>
      <div className={css.side}>
        <Link to="/" className={css.brand ?? ""} aria-label={strings.product}>
          <Logo size={24} />
          <span>{strings.product}</span>
        </Link>
        <button type="button" className={css.search} onClick={openPalette}>
          <IconSearch size={14} aria-hidden />
          {strings.nav.search}
          <kbd>Ctrl K</kbd>
        </button>
        <Navigation />
        <div className={css.foot}>
          <Pulse />
          <Account />
        </div>
      </div>
      <main id="main" tabIndex={-1} className={css.main}>
        {kill?.engaged ? (
          <div className={css.banner} role="status">
            <IconHandStop size={16} aria-hidden />
            {strings.nav.killSwitch}
          </div>
        ) : null}
        <Suspense fallback={<Loading rows={8} />}>
          <Outlet />
        </Suspense>
      </main>
      {palette ? (
        <Suspense>
          <Palette />
        </Suspense>
      ) : null}
    </div>
  );
}

function Navigation() {
  const open = useQuery(queries.home()).data?.counts.open ?? 0;
  const demo = useQuery(queries.demo()).data?.available ?? false;
  return (
    <nav aria-label={strings.nav.label} className={css.links}>
      <Link to="/" className={css.link ?? ""} activeOptions={{ exact: true, includeSearch: false }}>
        <IconHome size={17} stroke={1.8} aria-hidden />
        {strings.nav.home}
      </Link>
      <Link to="/incidents" className={css.link ?? ""} activeOptions={{ includeSearch: false }}>
        <IconActivityHeartbeat size={17} stroke={1.8} aria-hidden />
        {strings.nav.incidents}
        {open > 0 ? (
          <span className={css.count} title={strings.home.openCount(open)}>
            {open}
          </span>
        ) : null}
      </Link>
      <Link to="/logs" className={css.link ?? ""} activeOptions={{ includeSearch: false }}>
        <IconListSearch size={17} stroke={1.8} aria-hidden />
        {strings.nav.logs}
      </Link>
      <Link to="/events" className={css.link ?? ""} activeOptions={{ includeSearch: false }}>
        <IconNews size={17} stroke={1.8} aria-hidden />
        {strings.nav.events}
      </Link>
      <Link to="/models" className={css.link ?? ""}>
        <IconBrain size={17} stroke={1.8} aria-hidden />
        {strings.nav.models}
      </Link>
      <Link to="/delivery" className={css.link ?? ""}>
        <IconRocket size={17} stroke={1.8} aria-hidden />
        {strings.nav.delivery}
      </Link>
      {demo ? (
        <Link to="/demo" className={css.link ?? ""}>
          <IconFlame size={17} stroke={1.8} aria-hidden />
          {strings.nav.demo}
        </Link>
      ) : null}
      <Link to="/settings" className={css.link ?? ""}>
        <IconSettings size={17} stroke={1.8} aria-hidden />
        {strings.nav.settings}
      </Link>
    </nav>
  );
}

function Pulse() {
  const live = useSyncExternalStore(liveness.subscribe, liveness.get);
  return (
    <div className={css.pulse} role="status">
      <span className={`${css.dot} ${live ? "" : css.waiting}`} aria-hidden />
      {live ? strings.nav.live : strings.nav.connecting}
    </div>
  );
}

function Account() {
  const { user } = useSession();
  const client = useQueryClient();
  const navigate = useNavigate();
  const signOut = async () => {
    await calls.signOut();
    client.clear();
    await navigate({ to: "/login" });
  };
  return (
    <Menu position="top-start" width={188}>
      <Menu.Target>
        <button type="button" className={css.account}>
          <span className="visually-hidden">{strings.nav.account}</span>
          <span className={css.initial} aria-hidden>
            {user.name.slice(0, 1).toUpperCase()}
          </span>
          <span className={css.who}>
            {user.name}
            <span className={css.role}>{user.role}</span>
          </span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconLogout size={14} />} onClick={() => void signOut()}>
          {strings.nav.signOut}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
