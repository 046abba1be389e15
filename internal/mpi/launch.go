package mpi

import "strconv"

// Launch is what a launcher told this process through its environment.
type Launch struct {
	By         string // the variable that says so
	Rank, Size int
	Local      int // ranks on this host; 0 when unknown
}

// launchers are the variables of rank, size and local size, of each launcher.
var launchers = [][3]string{
	{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"}, // Open MPI's mpirun
	{"PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"},                                    // MPICH's, Intel MPI's
}

// Launched reports whether an MPI launcher started this process; getenv is
// os.Getenv. srun counts where it says that it set MPI up (PMIx or PMI).
func Launched(getenv func(string) string) (Launch, bool) {
	for _, v := range launchers {
		size, err := strconv.Atoi(getenv(v[1]))
		if err != nil || size < 1 {
			continue
		}
		rank, err := strconv.Atoi(getenv(v[0]))
		if err != nil {
			continue
		}
		local, _ := strconv.Atoi(getenv(v[2]))
		return Launch{v[1], rank, size, local}, true
	}
	if getenv("PMIX_RANK") != "" && getenv("SLURM_NTASKS") != "" {
		rank, err1 := strconv.Atoi(getenv("PMIX_RANK"))
		size, err2 := strconv.Atoi(getenv("SLURM_NTASKS"))
		local, _ := strconv.Atoi(getenv("SLURM_NTASKS_PER_NODE"))
		if err1 == nil && err2 == nil && size >= 1 {
			return Launch{"SLURM_NTASKS", rank, size, local}, true
		}
	}
	return Launch{}, false
}
