import type { ReactNode } from "react";
import css from "./Table.module.css";

export interface Column {
  name: string;
  number?: boolean;
  /** Left out on phones. */
  wideOnly?: boolean;
  /** Spoken, not shown: for columns of buttons. */
  hidden?: boolean;
}

interface TableProps {
  label: string;
  columns: Column[];
  children: ReactNode;
}

/** A dense table; rows are `<Row>`. */
export function Table({ label, columns, children }: TableProps) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for form fields, a section would be one more landmark
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls sideways must be reachable by keyboard
    <div role="group" className={css.wrap} aria-label={label} tabIndex={0}>
      <table className={css.table}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" className={cellClass(column)}>
                {column.hidden ? <span className="visually-hidden">{column.name}</span> : column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

function cellClass(column: { number?: boolean; wideOnly?: boolean }): string {
  return [column.number ? css.number : "", column.wideOnly ? css.narrowHide : ""].join(" ").trim();
}

interface CellProps {
  number?: boolean;
  wideOnly?: boolean;
  children?: ReactNode;
}

/** One cell, aligned like its column. */
export function Cell({ children, ...look }: CellProps) {
  return <td className={cellClass(look)}>{children}</td>;
}
