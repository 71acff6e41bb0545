import { useCan, useSession } from "../../api/queries";
import { strings } from "../../strings";
import { Facts, PageBody } from "../../ui/Facts";
import { Panel } from "../../ui/Panel";
import { AuditPanel } from "./AuditPanel";
import { KillSwitch } from "./KillSwitch";
import css from "./Settings.module.css";
import { Tokens } from "./Tokens";
import { Users } from "./Users";

const words = strings.settings;

/** The account, the kill switch, tokens and what was done. */
export function SettingsPage() {
  const { user, permissions } = useSession();
  const admin = useCan("admin");
  return (
    <PageBody title={words.title}>
      <div className={css.columns}>
        <div className={css.column}>
          <KillSwitch />
          <Panel title={words.account}>
            <Facts
              items={[
                [strings.login.name, user.name],
                [words.role, user.role],
                [words.permissions, permissions.join(", ")],
              ]}
            />
          </Panel>
          <Tokens />
        </div>
        {admin ? (
          <div className={css.column}>
            <Users />
            <AuditPanel />
          </div>
        ) : null}
      </div>
    </PageBody>
  );
}
