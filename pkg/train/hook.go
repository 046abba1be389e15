package train

// Hook is something that happens beside the training itself. Fields that are
// nil do nothing. A failing hook ends the run with an error that names it.
type Hook struct {
	Name  string
	Start func(*Loop) error // before the first step of this process
	Step  func(*Loop) error // after every step, with Loop.Last filled in
	End   func(*Loop) error // after the last step, and after an interruption
}
