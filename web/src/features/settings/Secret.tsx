import { Button, CopyButton } from "@mantine/core";
import { strings } from "../../strings";
import css from "./Settings.module.css";

const words = strings.settings;

/** A secret that was just made: shown now and never again. */
export function Secret({ title, secret }: { title: string; secret: string }) {
  return (
    <div className={css.created} role="status">
      <span>
        {title}. {words.createdHint}
      </span>
      <span className={css.secret}>
        <code>{secret}</code>
        <CopyButton value={secret}>
          {({ copied, copy }) => (
            <Button variant="default" onClick={copy}>
              {copied ? words.copied : words.copy}
            </Button>
          )}
        </CopyButton>
      </span>
    </div>
  );
}
