import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { calls } from "../../api/calls";
import { queries, useCan } from "../../api/queries";
import type { Fault } from "../../api/types";
import { strings } from "../../strings";
import { Badge } from "../../ui/Badge";
import { EntityName } from "../../ui/EntityName";
import { PageBody } from "../../ui/Facts";
import { Empty, Loading, Problem } from "../../ui/Notice";
import { Panel } from "../../ui/Panel";
import { Span } from "../../ui/Time";
import css from "./Demo.module.css";

const words = strings.demo;

/** Break the demo's shop, on purpose. */
export function DemoPage() {
  const demo = useQuery(queries.demo());
  if (demo.isPending) return <Loading rows={8} />;
  if (demo.isError) return <Problem error={demo.error} retry={() => void demo.refetch()} />;
  if (!demo.data.available) {
    return (
      <PageBody title={words.title}>
        <Empty title={words.unavailable}>{words.unavailableDetail}</Empty>
      </PageBody>
    );
  }
  return (
    <PageBody title={words.title}>
      <p className={css.intro}>{words.intro}</p>
      <ul className={css.faults} aria-label={words.faults}>
        {demo.data.faults.map((fault) => (
          <FaultCard key={fault.name} fault={fault} />
        ))}
      </ul>
      <Panel title={words.services}>
        <div className={css.services}>
          {demo.data.shop.services.map((service) => (
            <EntityName key={service} id={service.includes(":") ? service : `service:${service}`} />
          ))}
        </div>
      </Panel>
    </PageBody>
  );
}

function FaultCard({ fault }: { fault: Fault }) {
  const client = useQueryClient();
  const allowed = useCan("demo:break");
  const toggle = useMutation({
    mutationFn: () => (fault.active ? calls.stopFault(fault.name) : calls.startFault(fault.name)),
    onSettled: () => client.invalidateQueries({ queryKey: ["demo"] }),
  });
  return (
    <li className={`${css.fault} ${fault.active ? css.active : ""}`}>
      <div className={css.head}>
        {fault.title}
        {fault.active ? <Badge value="active" /> : <Badge value="pending" label={words.inactive} plain />}
      </div>
      <p className={css.text}>{fault.description}</p>
      <div className={css.foot}>
        <span className={css.since}>
          {fault.active && fault.since ? (
            <>
              {words.since} <Span start={fault.since} end={null} />
            </>
          ) : null}
        </span>
        {allowed ? (
          <Button
            variant="default"
            loading={toggle.isPending}
            aria-label={`${fault.active ? words.stop : words.break}: ${fault.title}`}
            onClick={() => toggle.mutate()}
          >
            {fault.active ? words.stop : words.break}
          </Button>
        ) : null}
      </div>
      {toggle.isError ? <Problem error={toggle.error} /> : null}
    </li>
  );
}
