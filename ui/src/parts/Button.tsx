import type { ButtonHTMLAttributes } from 'react';
import { Icon, type IconName } from './Icon';

type Props = ButtonHTMLAttributes<HTMLButtonElement> & {
  icon?: IconName;
  /** `pri` once per view; `danger`, `quiet`, `sm`. */
  kind?: string;
};

export function Button({ icon, kind = '', children, className = '', ...rest }: Props) {
  return (
    <button type="button" className={`btn ${kind} ${className}`} {...rest}>
      {icon && <Icon name={icon} />}
      {children && <span className="bl">{children}</span>}
    </button>
  );
}

/** A square button with an icon alone; its label is its name and its title. */
export function IconButton({
  icon,
  label,
  className = '',
  ...rest
}: { icon: IconName; label: string } & ButtonHTMLAttributes<HTMLButtonElement>) {
  return (
    <button type="button" className={`ib ${className}`} aria-label={label} title={label} {...rest}>
      <Icon name={icon} />
    </button>
  );
}
